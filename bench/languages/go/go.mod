module lookup

go 1.19

require plexindex v0.0.0

replace plexindex => ../../../bindings/go
