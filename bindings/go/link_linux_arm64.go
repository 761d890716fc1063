package plexindex

import _ "github.com/plexindex/plexindex/bindings/go/lib/linux_arm64"
