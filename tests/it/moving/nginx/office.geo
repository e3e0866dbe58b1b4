10.0.0.0/8 office;
10.66.0.0/16 guests;
10.66.6.0/24 office;
192.168.0.0/16 office;
2001:db8::/32 office;
2001:db8:66::/48 guests;
