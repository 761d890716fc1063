package plexindex

// The library, where the linker or CGO_LDFLAGS finds it.

// #cgo LDFLAGS: -lplexindex
import "C"
