"""Where work runs: devices, machines, replicas, threads; and how images become bytes."""
