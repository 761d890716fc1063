-- The rock for one platform: `luarocks make --pack-binary-rock with-library/plexindex-0.1.0-1.rockspec` in the folder above,
-- with libplexindex.so in plexindex, and THIRD-PARTY, of scripts/licences.py.
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
   -- A name as of a module, so that package.searchpath finds it.
   install = {
      lib = { ["plexindex.libplexindex"] = "plexindex/libplexindex.so" },
      conf = { "THIRD-PARTY" },
   },
}
