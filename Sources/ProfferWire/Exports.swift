// What decoders throw and how much they take is the same for both codecs.
@_exported public import enum ProfferSession.WireError
@_exported public import enum ProfferSession.WireLimits
