# find_package(plexindex) defines the target plexindex::plexindex. Paths are relative to this file, so you can move
# the folder.
get_filename_component(_plexindex_prefix "${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)

if(NOT TARGET plexindex::plexindex)
  find_library(_plexindex_library plexindex NO_DEFAULT_PATH
    PATHS "${_plexindex_prefix}" PATH_SUFFIXES lib lib64 "lib/${CMAKE_LIBRARY_ARCHITECTURE}")
  add_library(plexindex::plexindex SHARED IMPORTED)
  set_target_properties(plexindex::plexindex PROPERTIES
    IMPORTED_LOCATION "${_plexindex_library}"
    INTERFACE_INCLUDE_DIRECTORIES "${_plexindex_prefix}/include")
  if(NOT APPLE)
    set_property(TARGET plexindex::plexindex PROPERTY IMPORTED_SONAME "libplexindex.so.${plexindex_VERSION_MAJOR}")
  endif()
  unset(_plexindex_library CACHE)
endif()
unset(_plexindex_prefix)

# plexindex has no components, so it is not found if you require one.
foreach(_plexindex_component IN LISTS plexindex_FIND_COMPONENTS)
  set(plexindex_${_plexindex_component}_FOUND FALSE)
  if(plexindex_FIND_REQUIRED_${_plexindex_component})
    set(plexindex_FOUND FALSE)
    set(plexindex_NOT_FOUND_MESSAGE "plexindex has no component '${_plexindex_component}'; its target is plexindex::plexindex")
  endif()
endforeach()
unset(_plexindex_component)
