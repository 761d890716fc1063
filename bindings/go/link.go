//go:build !plexindex_static

package plexindex

// The library: beside this module in a release, else where the linker or CGO_LDFLAGS finds it. What follows it is for an
// archive, which a release has.

// #cgo linux,amd64 LDFLAGS: -L${SRCDIR}/lib/linux_amd64
// #cgo linux,arm64 LDFLAGS: -L${SRCDIR}/lib/linux_arm64
// #cgo linux,arm LDFLAGS: -L${SRCDIR}/lib/linux_arm
// #cgo LDFLAGS: -lplexindex
// #cgo linux LDFLAGS: -lrt -lpthread -lm -ldl
import "C"
