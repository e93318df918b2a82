"""`milepost hdfs-initializer`: a model from HDFS into a folder, whole and checked, before its server starts.

A program of its own: it runs as the init container that Seldon Core puts before a model server, with the arguments
that Seldon gives it, `SOURCE FOLDER`. It shares nothing with the platform but the settings' way of being written.
"""
