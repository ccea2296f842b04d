// One import is enough to write an executor.
@_exported public import ProfferExecutorDriver
@_exported public import ProfferKernel
@_exported public import ProfferModel
