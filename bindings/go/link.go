package plexindex

// The library, where the linker or CGO_LDFLAGS finds it; its header, where the compiler or CGO_CFLAGS finds it.

// #cgo LDFLAGS: -lplexindex
import "C"
