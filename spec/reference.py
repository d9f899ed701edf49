"""The command line of the oracle, which is in the folder reference/ beside this file.

python3 spec/reference.py patch OLD DELTA NEW
python3 spec/reference.py check spec/vectors.json
"""

import json
import sys

from check_vectors import check
from reference import Refused, basis_of, decode_delta


def main(arguments):
    match arguments:
        case ["patch", old, delta, new]:
            with open(old, "rb") as file:
                basis = basis_of(file.read())
            with open(delta, "rb") as file:
                target = decode_delta(file.read(), basis)
            with open(new, "wb") as file:
                file.write(target)
        case ["check", path]:
            with open(path) as file:
                count, faults = check(json.load(file))
            print(*faults, f"{max(count - len(faults), 0)} passed, {len(faults)} failed", sep="\n")
            return 1 if faults else 0
        case _:
            print(__doc__, file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except (Refused, OSError) as error:
        sys.exit(f"reference.py: {error}")
