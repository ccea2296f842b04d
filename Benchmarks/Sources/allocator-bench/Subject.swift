import ProfferAllocation

/// What is measured; everything else here knows only the protocol.
typealias Subject = FairShareAllocator

func makeAllocator() -> Subject { Subject() }
