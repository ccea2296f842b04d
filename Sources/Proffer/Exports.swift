// One import is enough to write a framework.
@_exported public import ProfferFramework
@_exported public import ProfferKernel
@_exported public import ProfferModel
