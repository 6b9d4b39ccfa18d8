"""Virtual network labs in Python tests: see the README, and `labctl.plugin` for the pytest fixtures."""

from ._command import LabctlError
from .checks import Report, run_checks
from .lab import Capture, Lab
from .node import Node
from .results import Frame, Hop, Perf, Ping, Rtt, Trace

__all__ = ["Capture", "Frame", "Hop", "Lab", "LabctlError", "Node", "Perf", "Ping", "Report", "Rtt", "Trace", "run_checks"]
