"""Settings for gunicorn that older releases ignore as a file but refuse as flags."""

# Its socket would stay behind in the home folder, and its thread is not what is looked at.
control_socket_disable = True
