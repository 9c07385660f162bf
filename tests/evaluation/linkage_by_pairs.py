"""Average linkage by joining the most alike two, over and over."""

import numpy as np


def joined(unit, threshold):
    """Groups of places of unit rows, each sorted, in rising order."""
    groups = [[place] for place in range(len(unit))]
    while len(groups) > 1:
        likeness = {
            (a, b): np.mean(unit[groups[a]] @ unit[groups[b]].T)
            for a in range(len(groups))
            for b in range(a)
        }
        (a, b), most = max(likeness.items(), key=lambda item: item[1])
        if most < threshold:
            break
        groups[b] += groups.pop(a)
    return sorted(sorted(one) for one in groups)
