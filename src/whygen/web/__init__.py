"""The viewer: saved explanations in a browser, served to this computer alone.

`whygen.web.app` puts it together. A room is a module with ``router(state)``; its pages are in ``pages/``, its scripts
in ``static/``. The extra ``view`` brings the web server.
"""
