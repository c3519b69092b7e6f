"""What the workbench is measured by: `python -m benchmarks.NAME [--data PATH] [--scores OUT] [--quick]`."""
