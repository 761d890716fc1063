"""What is measured: a module for each kind of question. Each takes a Run and a World and adds rows to the results."""
