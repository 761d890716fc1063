"""What the public modules share: the C functions, calls, buffers, JSON, the log and the end of the process."""

# The name that type checkers treat as true. Importing the module ``typing``, which also has this name, takes longer
# than opening an index.
TYPE_CHECKING = False
