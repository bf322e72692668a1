"""Settings for gunicorn that older releases ignore as a file but refuse as flags."""

# Its thread would be a second reason for what is said about threads at a fork.
control_socket_disable = True
