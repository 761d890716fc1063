"""Being right: collections by naming scheme, of which the server has one half; the other half is asked for as well."""
