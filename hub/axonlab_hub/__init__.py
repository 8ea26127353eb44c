"""The service beside the hub: jobs, their runs, their artifacts."""
