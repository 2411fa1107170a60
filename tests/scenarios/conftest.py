"""Makes the simulation, and the stories of this folder, importable for its tests."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "simulation")]
