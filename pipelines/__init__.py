"""Jobs: the graph, its lowerings on one process or Ray, the results, the command line."""
