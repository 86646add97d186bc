"""An order system with a web page: placing an order writes its row and starts its workflow in one transaction."""
