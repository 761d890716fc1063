module plexindex.invalid/bindings/go

go 1.19
