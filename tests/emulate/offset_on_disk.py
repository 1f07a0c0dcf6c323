"""Finds the place on a disk (the first file) of the middle of a file that lies there as a whole.

    offset_on_disk.py DISK FILE
"""

import sys
from pathlib import Path

disk, part = (Path(path).read_bytes() for path in sys.argv[1:3])
start = disk.find(part)
if start < 0:
    sys.exit("the disk does not hold the file in one piece")
# A byte that has not the value it is changed to.
middle = next(at for at in range(len(part) // 2, len(part)) if part[at] != 0xFF)
print(start + middle)
