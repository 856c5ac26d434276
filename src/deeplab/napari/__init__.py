"""The plug-in for napari, which `napari.yaml` describes to it: segment, refine labels by strokes, teach.

napari makes the panels from the functions in `widgets`; nothing here imports it before it asks.
"""
