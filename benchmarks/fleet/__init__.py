"""Real runs of gateways and model servers on one database, by which the simulation is calibrated and checked."""
