#!/usr/bin/env python3
"""The client of client.py with a mistake: it counts its deadline from nothing but hope.

    conform client --exec 'python3 examples/pythonclient/careless.py'

A failed renewal is tried again, as it should be; but the work goes on meanwhile, for as long as nobody says that it must
stop. Whoever is cut off, or was stopped for a while, serves what another has been granted since.
"""

import client


class Careless(client.Keeper):
    def deadline(self, sent, record):
        return sent + 3600 * 10**9


if __name__ == "__main__":
    client.Keeper = Careless
    client.main()
