//go:build plexindex_static && linux

package plexindex

// The archive, also where a shared object lies beside it.

// #cgo amd64 LDFLAGS: -L${SRCDIR}/lib/linux_amd64
// #cgo arm64 LDFLAGS: -L${SRCDIR}/lib/linux_arm64
// #cgo arm LDFLAGS: -L${SRCDIR}/lib/linux_arm
// #cgo LDFLAGS: -l:libplexindex.a -lrt -lpthread -lm -ldl
import "C"
