import ProfferAllocation

/// What is measured; everything else here knows only the protocol.
typealias Subject = HierarchicalAllocator

func makeAllocator() -> Subject { Subject() }
