// The clusters of processes that these tests share with those of crashes.
@_exported import ProcessProbe
