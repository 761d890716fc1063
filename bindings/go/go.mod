module github.com/plexindex/plexindex/bindings/go

go 1.19
