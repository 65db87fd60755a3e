"""MEASURE: workloads, the work they do, measurements that can be trusted, reports, the command line."""
