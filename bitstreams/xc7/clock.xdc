# The core's clock as XDMA gives it, 250 MHz; XDMA's own constraints make it, so this is for the core alone (out of context).
create_clock -name aclk -period 4.000 [get_ports aclk]
