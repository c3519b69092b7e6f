"""Other engines that do the stream's work, each a process of its own; `make peers` makes them. See README.md."""
