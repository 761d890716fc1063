rockspec_format = "3.0"
package = "plexindex"
version = "0.1.0-1"
source = { url = "." }
description = {
   summary = "Tells which Plex item a file is, without asking the server",
   license = "MIT OR Apache-2.0",
}
-- LuaJIT 2.1: luarocks cannot say so.
dependencies = { "lua == 5.1" }
build = {
   type = "builtin",
   modules = {
      plexindex = "plexindex.lua",
      ["plexindex.abi"] = "plexindex/abi.lua",
   },
}
