"""GPU use of containers: NVML's processes, the cgroups they are in, and the shares that pods asked for."""
