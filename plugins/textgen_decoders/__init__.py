"""The decoding strategies and filters that come with textgen; plugins like anybody else's."""
