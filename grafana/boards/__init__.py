"""The dashboards, as code: `grafana/generate` writes them to `grafana/dashboards`.

`queries` knows the labels, `panels` the looks, `frame` what every dashboard has; a dashboard is
a module of rows, a row a list of panels.
"""
