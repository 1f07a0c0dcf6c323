"""Checks that a boot says that its model is damaged, and lives.

    damaged_model.py KERNEL8 MODEL MACHINE TOLD
"""

import sys

from board import Board
from faults import lives
from conversation import check


def main():
    kernel, model, machine, told = sys.argv[1:5]
    with Board(machine, kernel, model) as board:
        boot = board.boot()
        check(f"error: model: {told}" in boot, boot)
        lives(board)
    print(f"{machine}: {boot.strip().splitlines()[-2]}")


if __name__ == "__main__":
    main()
