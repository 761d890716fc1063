// Package lib holds the library in a release. That it is a package has `go mod vendor` copy it.
package lib
