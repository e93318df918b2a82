"""The command-line client of the log-server: `milepost logs`."""
