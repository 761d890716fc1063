//go:build !cgo

package plexindex

// The compiler says this name.
var _ = plexindex_needs_cgo__set_CGO_ENABLED_1_and_install_a_C_compiler
