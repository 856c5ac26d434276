"""`deeplab serve`: the page in a browser, and the same work by HTTP.

A request passes `guard` (who may ask, how much they may send) to its endpoint in `page_api`, `program_api` or `status`.
These check what was asked and hand a function of `page_jobs` or `program_jobs` to `compute`, which runs it in a
`worker` process; what strangers send is decoded only there.
"""
