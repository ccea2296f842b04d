// One import is enough to write a framework.
@_exported public import ProfferFramework
@_exported public import ProfferKernel
@_exported public import ProfferModel

// Of the transport: a data directory has one scheduler at a time.
@_exported public import class ProfferTransport.FileLock
