"""What the public modules share: the C functions, calls, buffers, JSON, the log and the end of the process."""
