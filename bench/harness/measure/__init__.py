"""What is measured: a module for each kind of work. A row, its goals and its contenders stand in one place."""
