"""One file a library whose scorer of local models is checked; see `agreement`."""
