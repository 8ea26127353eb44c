"""The runner: takes a job, executes its notebook in a child process, brings the result bundle back."""
